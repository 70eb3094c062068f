import torch
from torch import Tensor, nn

from seqsmith.train.optimizer import MovingAverage, new_optimizer, optimizer_tensors, restore_optimizer


class Tied(nn.Module):
    """A matrix that has two names, a layer with a bias, and a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 3)
        self.linear = nn.Linear(3, 3)
        self.norm = nn.LayerNorm(3)
        self.out = nn.Linear(3, 5, bias=False)
        self.out.weight = self.embedding.weight

    def forward(self, id_N: Tensor) -> Tensor:
        logit_NV: Tensor = self.out(self.norm(self.linear(self.embedding(id_N))))
        return logit_NV


def steps(model: nn.Module, optimizer: torch.optim.AdamW, count: int) -> None:
    for number in range(count):
        optimizer.zero_grad()
        id_N = torch.tensor([number % 5, (number + 2) % 5])
        model(id_N).square().sum().backward()
        for group in optimizer.param_groups:
            group["lr"] = 0.01
        optimizer.step()


def test_matrices_decay_and_vectors_do_not() -> None:
    model = Tied()
    optimizer = new_optimizer(model, beta2=0.9, weight_decay=0.5)
    matrices, vectors = ([p.dim() for p in group["params"]] for group in optimizer.param_groups)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.5, 0.0]
    assert set(matrices) == {2}
    assert set(vectors) == {1}
    assert len(matrices) + len(vectors) == len(list(model.parameters()))


def test_frozen_weights_are_left_alone() -> None:
    model = Tied()
    model.linear.weight.requires_grad = False
    before = model.linear.weight.clone()
    steps(model, new_optimizer(model, beta2=0.9, weight_decay=0.5), 3)
    assert torch.equal(model.linear.weight, before)


def test_restored_state_goes_on_as_if_it_had_not_been_stored() -> None:
    one = Tied()
    optimizer = new_optimizer(one, beta2=0.9, weight_decay=0.1)
    steps(one, optimizer, 3)
    tensors = {name: tensor.clone() for name, tensor in optimizer_tensors(one, optimizer).items()}
    weights = {name: tensor.clone() for name, tensor in one.state_dict().items()}
    steps(one, optimizer, 4)

    other = Tied()
    other.load_state_dict(weights)
    restored = new_optimizer(other, beta2=0.9, weight_decay=0.1)
    restore_optimizer(other, restored, tensors)
    steps(other, restored, 4)
    for name, parameter in one.named_parameters():
        assert torch.equal(parameter, dict(other.named_parameters())[name])
    after = optimizer_tensors(other, restored)
    for name, tensor in optimizer_tensors(one, optimizer).items():
        assert torch.equal(tensor, after[name])


def test_a_shared_weight_is_stored_once() -> None:
    model = Tied()
    optimizer = new_optimizer(model, beta2=0.9, weight_decay=0.1)
    steps(model, optimizer, 1)
    names = {name.removeprefix("exp_avg.") for name in optimizer_tensors(model, optimizer) if "avg." in name}
    assert names == {"embedding.weight", "linear.weight", "linear.bias", "norm.weight", "norm.bias"}


def test_the_moving_average_is_its_formula() -> None:
    """a_t = d_t a_(t-1) + (1 - d_t) w_t with d_t = min(d, (1 + t) / (10 + t))."""
    model = Tied().double()
    average = MovingAverage(model, 0.5)
    expected = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for update in range(1, 20):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += torch.randn_like(parameter)
        average.follow(model, update)
        decay = min(0.5, (1 + update) / (10 + update))
        for name, parameter in model.named_parameters():
            expected[name] = decay * expected[name] + (1 - decay) * parameter.detach()
    for name, tensor in expected.items():
        torch.testing.assert_close(average.tensors[name], tensor, rtol=1e-12, atol=1e-12)


def test_the_average_of_weights_that_stand_still_is_these_weights() -> None:
    model = Tied()
    average = MovingAverage(model, 0.999)
    for update in range(1, 50):
        average.follow(model, update)
    for name, parameter in model.named_parameters():
        assert torch.equal(average.tensors[name], parameter)
