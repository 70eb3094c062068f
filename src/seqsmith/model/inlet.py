"""How a sequence enters a model: what it is made of becomes vectors of the width that the encoder or decoder wants."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from seqsmith.batch import Frames, Source, Tokens
from seqsmith.model.linear import Linear
from seqsmith.model.subsample import Subsample
from seqsmith.special import UNKNOWN


class TokenInlet(nn.Module):
    """Embedding look-up, scaled by sqrt(width) for Transformers (Vaswani et al. 2017, section 3.4), then a projection
    where the embedding is not as wide as the model.

    With `copied`, ids behind those of the embedding are read as UNKNOWN: words of the source that have no other id.
    """

    def __init__(self, embedding: nn.Embedding, *, width: int | None, scaled: bool, copied: bool = False):
        super().__init__()
        self.embedding = embedding
        self.copied = copied
        self.scale = embedding.embedding_dim**0.5 if scaled else 1.0
        fits = width is None or width == embedding.embedding_dim
        self.project = nn.Identity() if fits else Linear(embedding.embedding_dim, width or 0)
        self.width = width or embedding.embedding_dim

    def forward(self, id: Tensor) -> Tensor:
        """id_BL -> x_BLD for whole sequences, id_N -> x_ND for one step."""
        if self.copied:
            id = id.where(id < self.embedding.num_embeddings, UNKNOWN)
        x = F.embedding(id, self.embedding.weight)
        projected: Tensor = self.project(x if self.scale == 1.0 else x * self.scale)
        return projected

    def enter(self, source: Source) -> tuple[Tensor, Tensor]:
        """A whole source -> x_BSD and valid_BS."""
        assert isinstance(source, Tokens)
        return self(source.id_BL), source.valid_BL


class FrameInlet(nn.Module):
    """Frames of speech, subsampled by convolutions; without subsampling a linear layer."""

    def __init__(self, channels: int, width: int, *, factor: int):
        super().__init__()
        self.subsample = Subsample(channels, width, factor=factor) if factor > 1 else None
        self.project = Linear(channels, width) if factor == 1 else None
        self.width = width

    def enter(self, source: Source) -> tuple[Tensor, Tensor]:
        """A whole source -> x_BSD and valid_BS, of one step for `factor` frames."""
        assert isinstance(source, Frames)
        if self.project is not None:
            return self.project(source.x_BLC), source.valid_BL
        assert self.subsample is not None
        x_BSD, valid_BS = self.subsample(source.x_BLC, source.valid_BL)
        return x_BSD, valid_BS


def new_embedding(size: int, width: int) -> nn.Embedding:
    """Normal with variance 1 / width, so that tied output logits start near unit variance."""
    embedding = nn.Embedding(size, width)
    nn.init.normal_(embedding.weight, std=width**-0.5)
    return embedding
