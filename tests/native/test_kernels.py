"""The compiled kernels compute what torch's operators do, and noise that is noise."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from seqsmith import native
from seqsmith.model import attention
from seqsmith.model.attention import attend_openly, causal_bias, padding_bias
from seqsmith.model.layers import Dropout
from seqsmith.model.position import rotate, turn

TYPES = pytest.mark.parametrize(("dtype", "apart"), [(torch.float32, 2e-6), (torch.bfloat16, 8e-3)])


@pytest.fixture(autouse=True)
def kernels() -> Iterator[None]:
    """The kernels are taken; a machine without a C compiler has none to test."""
    if not native.use():
        pytest.skip("needs a C compiler with OpenMP")
    yield
    native.use(False)


def close(found: Tensor, wanted: Tensor, apart: float) -> None:
    """Equal to a share of the largest number: sums are taken in another order, and rounded to the type found."""
    assert found.shape == wanted.shape
    assert (found.double() - wanted).abs().max() <= apart * wanted.abs().max()


def leaf(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape).to(dtype).requires_grad_()


@TYPES
@pytest.mark.parametrize(
    ("sequences", "heads", "queries", "keys", "width", "kind"),
    [
        (3, 4, 7, 7, 64, "padded"),
        (2, 4, 29, 29, 64, "causal"),
        (5, 4, 17, 30, 64, "padded"),
        (2, 2, 3, 33, 24, "padded"),
        (1, 1, 1, 1, 2, "causal"),
        (2, 3, 256, 200, 128, "padded"),
    ],
)
def test_attention_is_that_of_torch(dtype, apart, sequences, heads, queries, keys, width, kind):
    rows = [sequences * queries + 5, *[sequences * keys + 5] * 2]  # more than there are steps
    all_in_one = queries == keys
    wide = leaf(rows[0], 3 * heads * width, dtype=dtype)
    apiece = [leaf(count, heads * width, dtype=dtype) for count in rows]
    query, key, value = native.split(wide, [heads * width] * 3) if all_in_one else apiece
    valid = torch.arange(keys) < torch.randint(1, keys + 1, (sequences, 1))
    bias = causal_bias(keys, like=torch.zeros(())) if kind == "causal" else padding_bias(valid, torch.float32)[:, None]
    sizes = sequences, heads, queries, keys
    assert native.attends(query, key, value, bias, sizes)
    turned = turn(0, keys, width, dtype=torch.float32, device=query.device) if all_in_one else None
    y = native.attend(query, key, value, bias, turned, sizes)
    assert not y[sequences * queries :].any()

    def split(x: Tensor, steps: int) -> Tensor:
        return x[: sequences * steps].double().unflatten(0, (sequences, steps)).unflatten(-1, (heads, width))

    exact_query, exact_key, exact_value = (
        split(x, steps).transpose(1, 2) for x, steps in ((query, queries), (key, keys), (value, keys))
    )
    if turned is not None:
        exact_query, exact_key = rotate(exact_query, 0), rotate(exact_key, 0)
    wanted, _ = attend_openly(exact_query, exact_key, exact_value, bias=bias.double(), dropout=Dropout(0.0))
    wanted = F.pad(wanted.transpose(1, 2).flatten(2).flatten(0, 1), (0, 0, 0, 5))
    close(y, wanted, apart)
    slope, leaves = torch.randn(y.shape).to(dtype), [wide] if all_in_one else apiece
    for found, true in zip(
        torch.autograd.grad(y, leaves, slope), torch.autograd.grad(wanted, leaves, slope.double()), strict=True
    ):
        close(found, true.double(), apart)


@TYPES
def test_a_piece_of_attention_that_is_made_again_drops_the_same_weights(dtype, apart, monkeypatch):
    monkeypatch.setattr(attention, "_AT_ONCE", 60)
    query, key, value = (leaf(2, 3, length, 4, dtype=dtype) for length in (7, 5, 5))
    found = attention.attend(query, key, value, bias=None, dropout=Dropout(0.5).train())
    slope = torch.randn(found.shape).to(dtype)
    (gradient,) = torch.autograd.grad(found, value, slope)
    linear = (gradient.double() * value.double()).sum(), (slope.double() * found.double()).sum()  # in the values
    assert abs(linear[0] - linear[1]) <= 20 * apart


def test_attention_that_the_kernels_cannot_do_is_left_to_torch():
    def can(*, keys: int = 8, width: int = 64, bias: Tensor, half: bool = False) -> bool:
        query, key = leaf(16, 4 * width), leaf(2 * keys, 4 * width)
        return native.attends(query, key, key.bfloat16() if half else key, bias, (2, 4, 8, keys))

    bias = torch.zeros(2, 1, 1, 8)
    assert can(bias=bias)
    assert not can(keys=257, bias=bias)
    assert not can(width=256, bias=bias)
    assert not can(half=True, bias=bias)
    assert not can(bias=torch.zeros(1, 4, 8, 8))  # relative positions: each head has its own
    assert not can(bias=bias.clone().requires_grad_())
    with torch.no_grad():
        assert not can(bias=bias)


def test_a_bias_may_lie_in_any_way():
    query, key, value = leaf(12, 8), leaf(20, 8), leaf(20, 8)
    bias = torch.randn(2, 1, 10, 6).mT
    ways = bias, bias.contiguous(), bias[:, :, :, :1].expand(2, 1, 6, 10)
    found = [native.attend(query, key, value, way, None, (2, 2, 6, 10)) for way in ways]
    assert torch.equal(found[0], found[1])
    nothing = native.attend(query, key, value, torch.zeros(2, 1, 6, 10), None, (2, 2, 6, 10))
    torch.testing.assert_close(found[2], nothing)


def test_gradients_of_parts_are_put_together_wherever_they_lie():
    x = leaf(6, 9)
    parts = native.split(x, [2, 3, 4])
    slopes = [torch.randn(part.shape) for part in parts]
    (apart,) = torch.autograd.grad(parts, x, slopes, retain_graph=True)
    assert torch.equal(apart, torch.cat(slopes, -1))
    whole = torch.randn(6, 9)
    (beside,) = torch.autograd.grad(parts, x, whole.split([2, 3, 4], -1), retain_graph=True)
    assert torch.equal(beside, whole)
    wider = torch.randn(6, 12)
    (among,) = torch.autograd.grad(parts, x, wider.split([2, 3, 4, 3], -1)[:3], retain_graph=True)
    assert torch.equal(among, wider[:, :9])
    second, third, first = whole.split([3, 4, 2], -1)
    (swapped,) = torch.autograd.grad(parts, x, (first, second, third))
    assert torch.equal(swapped, torch.cat([first, second, third], -1))


@TYPES
def test_the_norm_is_that_of_torch(dtype, apart):
    x, weight, bias = leaf(37, 5, 257), leaf(257), leaf(257)
    x.data += 100  # where a mean of squares less a squared mean would have lost three digits
    y = native.layer_norm(x, weight, bias, epsilon=1e-5, dtype=dtype)
    assert y.dtype == dtype
    wanted = F.layer_norm(x.double(), (257,), weight.double(), bias.double(), 1e-5)
    close(y, wanted, 4 * apart)
    slope = torch.randn(y.shape).to(dtype)
    leaves = (x, weight, bias)
    for found, true in zip(
        torch.autograd.grad(y, leaves, slope), torch.autograd.grad(wanted, leaves, slope.double()), strict=True
    ):
        close(found, true.double(), 4 * apart)


@TYPES
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_slopes_of_the_loss_are_those_of_a_softmax(dtype, apart, smoothing):
    logit = (torch.randn(50, 801) * 5).to(dtype)
    logit[7] *= 40  # sure of itself, and mostly wrong
    true = torch.randint(801, (50,))
    log_p = logit.double().log_softmax(-1)
    wanted = log_p.exp() - (1 - smoothing) * F.one_hot(true, 801)
    nats = -log_p.gather(1, true[:, None]).sum()
    loss_nats = nats + smoothing * logit.double().gather(1, true[:, None]).sum()
    truth, loss = native.to_slopes(logit, true, smoothing)
    torch.testing.assert_close((truth.double(), loss.double()), (nats, loss_nats), rtol=1e-6, atol=0)
    close(logit, wanted, 2 * apart)


@TYPES
def test_what_is_dropped_is_a_share_and_has_no_gradient(dtype, apart):
    x, rest = leaf(300, 1000, dtype=dtype), leaf(300, 1000)
    with torch.no_grad():
        x += 8 * x.sign()  # far from zero
    y, total, positive = native.dropped(x, 0.3), native.add_dropped(rest, x, 0.3), native.relu_dropped(x, 0.3)
    masks = [y != 0, total != rest, positive != 0]
    for kept in (masks[0], masks[1], masks[2][x > 0]):
        assert kept.float().mean() == pytest.approx(0.7, abs=0.005)
    for one, other in ((0, 1), (0, 2), (1, 2)):  # a seed of its own for each
        both = masks[one][x > 0] & masks[other][x > 0]
        assert both.float().mean() == pytest.approx(0.49, abs=0.005)
    for axis in (0, 1):  # neighbours know nothing of each other
        first, second = masks[0].narrow(axis, 0, 299), masks[0].narrow(axis, 1, 299)
        assert (first & second).float().mean() == pytest.approx(0.49, abs=0.005)
    close(y, torch.where(masks[0], x.double() / 0.7, 0.0), apart)
    close(total, rest.double() + torch.where(masks[1], x.double() / 0.7, 0.0), apart)
    close(positive, torch.where(masks[2], x.double() / 0.7, 0.0), apart)
    assert not positive[x <= 0].any()
    for made, kept in zip((y, total, positive), masks, strict=True):
        (grad,) = torch.autograd.grad(made.sum(), x)
        close(grad, torch.where(kept, 1 / 0.7, 0.0).double(), apart)
    assert torch.equal(torch.autograd.grad(total.sum(), rest)[0], torch.ones(300, 1000))


def test_a_rate_of_nothing_drops_nothing():
    x = leaf(10, 10)
    assert torch.equal(native.dropped(x, 0.0), x)
    assert torch.equal(native.relu_dropped(x, 0.0), x.relu())
    assert torch.equal(native.add_dropped(x, x, 0.0), x + x)


def test_noise_follows_from_the_seed_and_nothing_else():
    def noise(seed: int, threads: int) -> Tensor:
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        try:
            return native.dropped(torch.ones(100_000, requires_grad=True), 0.5).detach()
        finally:
            torch.set_num_threads(1)

    assert torch.equal(noise(1, 1), noise(1, 2))
    assert not torch.equal(noise(1, 1), noise(2, 1))


def test_sums_do_not_depend_on_the_number_of_threads():
    def gradients(threads: int) -> list[Tensor]:
        torch.manual_seed(3)
        x, weight, bias = leaf(501, 64), leaf(64), leaf(64)
        torch.set_num_threads(threads)
        try:
            y = native.layer_norm(x, weight, bias, epsilon=1e-5, dtype=torch.float32)
            return list(torch.autograd.grad((y * y).sum(), (x, weight, bias)))
        finally:
            torch.set_num_threads(1)

    assert all(torch.equal(one, two) for one, two in zip(gradients(1), gradients(2), strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_no_number_stays_none(dtype):
    """So that training that has diverged is noticed."""
    x = leaf(4, 32, dtype=dtype)
    with torch.no_grad():
        x[1, 3] = torch.tensor(0x7FFFFFFF, dtype=torch.int32).view(torch.float32)
    for y in (native.dropped(x, 0.0), native.relu_dropped(x, 0.0), native.add_dropped(leaf(4, 32), x, 0.0)):
        assert y.isnan().nonzero().tolist() == [[1, 3]]
    y = native.layer_norm(x.float(), leaf(32), leaf(32), epsilon=1e-5, dtype=dtype)
    assert y.isnan().all(1).tolist() == [False, True, False, False]
    y = native.attend(x, x, x, torch.zeros(1, 4), None, (1, 2, 4, 4))
    assert y.isnan().any()
    truth, loss = native.to_slopes(x.detach().clone(), torch.zeros(4, dtype=torch.int64), 0.1)
    assert truth.isnan()
    assert loss.isnan()
