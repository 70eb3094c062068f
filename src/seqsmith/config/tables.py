"""Every setting there is, as frozen tables.

A choice is a union told apart by `kind`; a bare string stands for a table with that kind alone, so that
`tokeniser = "bytes"` is `tokeniser = { kind = "bytes" }`. A field whose default is None is chosen from the data by the
rules in `train/recipe.py`, unless its comment gives None a meaning of its own.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PositiveInt, model_validator

from seqsmith.config.series import Series, SeriesSource
from seqsmith.config.speech import Conformer, SourceKind, SpeechSource
from seqsmith.config.table import Count, Fraction, Positive, Rate, Table, check_heads, kind_from_string

# ------------------------------------------------------------------------------------------------ data


class Corpus(Table):
    """One file of pairs, or a source file and the target file that runs beside it."""

    path: str
    target: str | None = None  # the parallel target file; None: `path` holds both sides
    weight: Positive = 1.0  # how often each pair is seen in an epoch


Column = str | PositiveInt  # a name from the header (or JSON key), or a number counted from 1


class Data(Table):
    train: tuple[Corpus, ...] = ()
    dev: tuple[Corpus, ...] = ()  # none: a part of train is split off
    source: Column | None = None  # None: the column called source, else the first
    target: Column | None = None  # None: the column called target, else the second
    features: Column | None = None  # None: no features
    features_separator: Annotated[str, Field(min_length=1)] = ";"  # between the features of a cell
    audio_folder: str | None = None  # where the recordings of a manifest lie; None: in the folder of the manifest
    header: bool | None = None  # None: found from the first line
    bad_utf8: Literal["error", "skip", "replace"] = "error"  # what is done about bytes that are not UTF-8
    empty: Literal["skip", "error"] = "skip"  # what is done about rows with an empty source or target
    longest_line_bytes: PositiveInt = 4_000_000  # a longer line is refused
    longest_source: PositiveInt = 1024  # tokens; longer pairs are left out of training and counted
    longest_target: PositiveInt = 1024  # likewise
    dev_pairs: PositiveInt | None = None  # how many to split off


# ------------------------------------------------------------------------------------------------ text


class Sentencepiece(Table):
    kind: Literal["sentencepiece"] = "sentencepiece"
    algorithm: Literal["unigram", "bpe"] = "unigram"
    vocabulary: Annotated[int, Field(ge=300)] | None = None  # pieces; 256 of them are bytes
    sampling: Rate = 0.0  # unigram: share of words cut anew (Kudo 2018); bpe: dropped merges (Provilkov et al. 2020)


class Characters(Table):
    kind: Literal["characters"] = "characters"
    minimum_count: PositiveInt = 1  # what is rarer in training is unknown


class Bytes(Table):
    kind: Literal["bytes"] = "bytes"


class Words(Table):
    """Words and the marks between them, cut at the borders of letters and digits; lossless."""

    kind: Literal["words"] = "words"
    vocabulary: PositiveInt = 50_000  # the most frequent ones
    minimum_count: PositiveInt = 1  # what is rarer in training is unknown


class Symbols(Table):
    """Text that is already split by single spaces: phonemes, actions, subword files."""

    kind: Literal["symbols"] = "symbols"
    minimum_count: PositiveInt = 1  # what is rarer in training is unknown


Tokeniser = Annotated[
    Sentencepiece | Characters | Bytes | Words | Symbols,
    Field(discriminator="kind"),
    BeforeValidator(kind_from_string),
]


class TextSource(Table):
    kind: Literal["text"] = "text"
    tokeniser: Tokeniser | None = None
    normalise: Literal["none", "nfc", "nfd", "nfkc", "nfkd"] | None = None  # Unicode form (UAX 15)
    lowercase: bool = False


class TextTarget(Table):
    kind: Literal["text"] = "text"
    tokeniser: Tokeniser | None = None
    normalise: Literal["none", "nfc", "nfkc"] | None = None  # Unicode form (UAX 15)
    lowercase: bool = False


# ------------------------------------------------------------------------------------------------ model


class RecurrentEncoder(Table):
    kind: Literal["lstm", "gru"] = "lstm"
    layers: PositiveInt = 1
    width: PositiveInt = 512  # of the output: each direction has half of it
    bidirectional: bool = True
    pyramid: bool = False  # each layer but the first takes two neighbours as one step (Chan et al. 2016)
    residual: bool = False
    layer_norm: bool = False
    dropout: Rate = 0.3  # on the input of each layer and on the output
    variational: bool = False  # one dropout mask for all steps (Gal & Ghahramani 2016)

    @model_validator(mode="after")
    def _halves(self) -> RecurrentEncoder:
        if self.bidirectional and self.width % 2:
            raise ValueError(f"width {self.width} cannot be halved between two directions: give an even width")
        if self.pyramid and self.residual:
            raise ValueError(
                "a pyramid's layers are shorter than their inputs, so residual cannot add the two: leave one out"
            )
        return self


class RecurrentDecoder(Table):
    kind: Literal["lstm", "gru"] = "lstm"
    layers: PositiveInt = 1
    width: PositiveInt = 512
    start: Literal["bridge", "copy"] = "bridge"  # first state: a linear image of the context vector, or itself
    attention: Literal["none", "additive", "dot", "general", "multihead"] = "general"
    heads: PositiveInt = 4  # of multihead attention
    input_feeding: bool = False
    coverage: bool = False  # attention is told where it has looked (See et al. 2017, equation 11); additive alone
    residual: bool = False  # around each layer whose input is as wide as its output
    layer_norm: bool = False
    dropout: Rate = 0.3
    variational: bool = False

    @model_validator(mode="after")
    def _heads(self) -> RecurrentDecoder:
        if self.attention == "multihead":
            check_heads(self.width, self.heads)
        if self.attention == "none" and self.input_feeding:
            raise ValueError("input feeding feeds what attention found: give an attention or leave input_feeding out")
        if self.attention != "additive" and self.coverage:
            raise ValueError(f"coverage enters additive attention, found {self.attention}: change one of them")
        return self


class Transformer(Table):
    """A Transformer encoder or decoder (Vaswani et al. 2017)."""

    kind: Literal["transformer"] = "transformer"
    layers: PositiveInt = 4
    width: PositiveInt = 256
    heads: PositiveInt = 4
    key_value_heads: PositiveInt | None = None  # None: as many as heads; fewer: grouped queries (Ainslie et al. 2023)
    feed_forward: PositiveInt = 1024
    activation: Literal["relu", "gelu", "swiglu"] = "relu"
    norm: Literal["layer", "rms"] = "layer"
    norm_first: bool = True  # pre-norm; false is the post-norm of the paper
    position: Literal["rotary", "sinusoidal", "learned", "relative"] = "rotary"
    longest: PositiveInt = 1024  # steps that learned positions reach
    dropout: Rate = 0.1
    attention_dropout: Rate = 0.0

    @model_validator(mode="after")
    def _heads(self) -> Transformer:
        check_heads(self.width, self.heads)
        if self.key_value_heads is not None and self.heads % self.key_value_heads:
            raise ValueError(
                f"heads {self.heads} is not divisible by key_value_heads {self.key_value_heads}: change one"
            )
        if self.position == "rotary" and self.width // self.heads % 2:
            raise ValueError(
                f"rotary positions need an even width per head, found {self.width}/{self.heads}: "
                "change width or heads, or take another position"
            )
        return self


Encoder = Annotated[
    RecurrentEncoder | Transformer | Conformer, Field(discriminator="kind"), BeforeValidator(kind_from_string)
]
Decoder = Annotated[RecurrentDecoder | Transformer, Field(discriminator="kind"), BeforeValidator(kind_from_string)]
Sharing = Literal["none", "source", "target", "all"]


class Model(Table):
    family: Literal["lstm", "gru", "transformer"] | None = None  # the kind of encoder and decoder that name none
    encoder: Encoder | None = None
    decoder: Decoder | None = None
    embedding: PositiveInt | None = None  # None: the width of a Transformer; of recurrent models chosen from the data
    share_embeddings: Sharing | None = None  # one table of source and target, of target and output, of all
    copy_source: bool = False  # pointer-generator (See et al. 2017): also of words that training never had
    coverage: Annotated[float, Field(ge=0.0)] = 0.0  # weight of its loss (See et al. 2017, eq. 13); needs copy_source
    subsample: Literal[1, 2, 4, 8] | None = None  # frames of speech to one step of the encoder
    ctc: Fraction | None = None  # weight of the CTC loss, beside the decoder's; 0: no CTC head; for speech

    @property
    def one_table(self) -> bool:
        """Whether source and target symbols are embedded by one table."""
        return self.share_embeddings in ("source", "all")

    @property
    def tied_output(self) -> bool:
        """Whether the output's weights are the target's embedding."""
        return self.share_embeddings in ("target", "all")

    @model_validator(mode="after")
    def _fits(self) -> Model:
        if self.coverage and not self.copy_source:
            raise ValueError("coverage belongs to the copy outlet: set copy_source = true as well")
        if self.copy_source and isinstance(self.decoder, RecurrentDecoder) and self.decoder.attention == "none":
            raise ValueError("copy_source points with the attention: give the decoder an attention")
        if self.copy_source and isinstance(self.encoder, RecurrentEncoder) and self.encoder.pyramid:
            raise ValueError("copy_source points at every source token, and a pyramid joins them: leave one out")
        return self


# ------------------------------------------------------------------------------------------------ training


class InverseSqrt(Table):
    kind: Literal["inverse_sqrt"] = "inverse_sqrt"
    warmup: Count = 1000


class Cosine(Table):
    kind: Literal["cosine"] = "cosine"
    warmup: Count = 1000
    final: Fraction = 0.0  # share of the peak rate at the last update


class Plateau(Table):
    """The rate shrinks by `factor` after `patience` validations without a better score."""

    kind: Literal["plateau"] = "plateau"
    warmup: Count = 0
    factor: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5
    patience: PositiveInt = 3


class Constant(Table):
    kind: Literal["constant"] = "constant"
    warmup: Count = 0


Schedule = Annotated[
    InverseSqrt | Cosine | Plateau | Constant, Field(discriminator="kind"), BeforeValidator(kind_from_string)
]
Score = Literal["bleu", "chrf", "exact_match", "wer", "cer", "rouge_l", "loss"]


class Train(Table):
    batch_tokens: PositiveInt | None = None  # padded tokens of a batch on its longer side
    accumulate: PositiveInt = 1  # batches per update
    epochs: PositiveInt | None = None  # times that all pairs are seen
    updates: PositiveInt | None = None  # stops at whichever of epochs and updates comes first
    minutes: Positive | None = None  # None: no limit
    rate: Positive | None = None  # peak learning rate
    schedule: Schedule | None = None
    beta2: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.98  # of AdamW
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.01  # of AdamW (Loshchilov & Hutter 2019)
    clip: Positive = 1.0  # largest norm of the gradient
    label_smoothing: Rate | None = None  # Szegedy et al. 2016, section 7
    ema: Rate = 0.0  # decay of the exponential moving average of the weights; 0: none
    average: Count | None = None  # best checkpoints whose weights are averaged at the end; 0 or 1: only the best
    r_drop: Annotated[float, Field(ge=0.0, le=1e6)] = 0.0  # weight of two answers' difference (Liang et al. 2021: 5)
    scheduled_sampling: Fraction = 0.0  # share of the model's own words fed back at the end of training
    precision: Literal["auto", "fp32", "bf16"] = "auto"  # auto: half where that is found faster on this machine
    kernels: Literal["auto", "compiled", "torch"] = "auto"  # auto: compiled on CPUs where there is a C compiler
    validate_every: PositiveInt | None = None  # updates
    early_stop: Count | None = None  # validations without a better score; 0: never
    score: Score | None = None  # what tells the best checkpoint
    start_from: str | None = None  # a model folder to fine-tune; None: from nothing
    tensorboard: bool = False  # write the journal for TensorBoard too
    threads: Annotated[int, Field(gt=0, le=1024)] | None = None  # None: OMP_NUM_THREADS, else tried: all cores or fewer
    device: Literal["auto", "cpu", "cuda"] = "auto"


# ------------------------------------------------------------------------------------------------ search


Width = Annotated[int, Field(gt=0, le=10_000)]
Length = Annotated[int, Field(gt=0, le=1_000_000)]
Power = Annotated[float, Field(ge=-10.0, le=10.0)]


class Search(Table):
    beam: Width | None = None  # width; 1 is greedy
    nbest: Width = 1  # answers to each source
    sample: bool = False  # draw answers from the model's distribution instead of searching for the best
    temperature: Annotated[float, Field(gt=0.0, le=1000.0)] = 1.0  # of the draws; below 1 likely answers are more so
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1  # of the draws
    length_penalty: Power = 1.0  # score = log p / length ** penalty; 0: plain log p
    gnmt_penalty: bool = False  # ((5 + length) / 6) ** penalty instead (Wu et al. 2016, equation 14)
    shortest: Annotated[int, Field(ge=0, le=1_000_000)] = 0  # tokens of an answer
    longest: Length | None = None  # tokens of an answer and its end; None: longest_ratio * source + longest_extra
    longest_ratio: Annotated[float, Field(gt=0.0, le=1000.0)] | None = None  # tokens of an answer to each of its source
    longest_extra: Length = 10  # tokens of an answer beyond that
    batch_tokens: PositiveInt = 8192  # padded tokens answered at once
    ctc: Fraction | None = None  # weight of the CTC head while answering; 1: the decoder is not asked
    shortlist: bool | None = None  # logits for likely target ids only; None: where an engine's check says it may
    language_model: str | None = None  # a file of texts (n-grams) or a model of texts with a say in answers; None: none
    language_order: Annotated[int, Field(gt=0, le=100)] = 6  # tokens of the longest n-grams
    language_weight: Annotated[float, Field(ge=0.0, le=1e6)] = 0.3  # of its log-probability, beside the model's own

    @model_validator(mode="after")
    def _enough(self) -> Search:
        if self.beam is not None and self.nbest > self.beam and not self.sample:
            raise ValueError(f"nbest {self.nbest} needs a beam at least as wide, found beam {self.beam}")
        if self.longest is not None and self.shortest >= self.longest:
            raise ValueError(f"shortest {self.shortest} leaves no answer of at most {self.longest} tokens, end and all")
        if self.shortlist and self.language_model is not None:
            raise ValueError("language_model speaks of the whole vocabulary, not with shortlist: leave one out")
        for name in ("language_order", "language_weight"):
            if self.language_model is None and getattr(self, name) != Search.model_fields[name].default:
                raise ValueError(f"{name} means nothing without language_model, a file of texts or a model of them")
        for name in ("temperature", "seed"):
            if not self.sample and getattr(self, name) != Search.model_fields[name].default:
                raise ValueError(f"{name} means nothing without sample, which draws answers")
        return self

    @property
    def width(self) -> int:
        """Rows of a batch for each source."""
        return self.nbest if self.sample else self.beam or 1

    @property
    def manner(self) -> str:
        """How answers are found, in words."""
        return f"draws at temperature {self.temperature:g}, seed {self.seed}" if self.sample else f"beam {self.beam}"


class Settings(Table):
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1  # of weights, order, dropout and the split
    data: Data = Data()
    source: Annotated[TextSource | SpeechSource | SeriesSource, Field(discriminator="kind"), SourceKind] = TextSource()
    target: TextTarget = TextTarget()
    joint_vocabulary: bool | None = None  # one tokeniser for both sides
    model: Model = Model()
    train: Train = Train()
    search: Search = Search()
    series: Series | None = None  # None: the source is no series

    @model_validator(mode="after")
    def _positions(self) -> Settings:
        """Learned positions have an end, and no text may go beyond it."""
        texts = (("encoder", "source", self.source.kind == "text"), ("decoder", "target", self.series is None))
        for part, side, is_text in texts:
            layers, tokens = getattr(self.model, part), getattr(self.data, f"longest_{side}")
            if is_text and getattr(layers, "position", None) == "learned" and tokens > layers.longest:
                raise ValueError(
                    f"data.longest_{side}: found {tokens:,}, but the learned positions of the {part} end at "
                    f"{layers.longest:,} (model.{part}.longest): change one of them"
                )
        return self
