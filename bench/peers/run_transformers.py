"""Transformers: MarianMT's classes with new weights, trained by Seq2SeqTrainer as its documentation has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from meter import Meter
from torch import Tensor
from transformers import MarianConfig, MarianMTModel, Seq2SeqTrainer, Seq2SeqTrainingArguments

METER = Meter("transformers")
PAD, BEGIN, END = 0, 2, 3
Example = dict[str, Any]


def new_model(size: int) -> MarianMTModel:
    layers = {f"{side}_{name}": value for side in ("encoder", "decoder")
              for name, value in (("layers", 3), ("attention_heads", 4), ("ffn_dim", 1024))}  # fmt: skip
    return MarianMTModel(
        MarianConfig(
            vocab_size=size,
            d_model=256,
            max_position_embeddings=256,
            pad_token_id=PAD,
            bos_token_id=BEGIN,
            eos_token_id=END,
            decoder_start_token_id=BEGIN,
            forced_eos_token_id=None,
            activation_function="relu",
            scale_embedding=True,
            dropout=0.1,
            attention_dropout=0.0,
            activation_dropout=0.0,
            share_encoder_decoder_embeddings=True,
            **layers,
        )
    )


def main() -> None:
    sources, targets = (ids(METER.data(f"train.{side}")) for side in ("source", "target"))
    model = new_model(METER.spec["vocabulary"])
    examples = [{"input_ids": source, "labels": target} for source, target in zip(sources, targets, strict=True)]

    def collate(rows: list[Example]) -> dict[str, Tensor]:
        source = padded([row["input_ids"] for row in rows], PAD)
        labels = padded([row["labels"] for row in rows], -100)
        return {
            "input_ids": source,
            "attention_mask": (source != PAD).long(),
            "labels": labels,
            "decoder_input_ids": model.prepare_decoder_input_ids_from_labels(labels),
        }

    step = Seq2SeqTrainer.training_step

    def counted(self: Any, model: Any, inputs: dict[str, Tensor], *args: Any, **kwargs: Any) -> Tensor:
        METER.add((inputs["labels"] != -100).sum(), inputs["labels"].numel())
        return step(self, model, inputs, *args, **kwargs)

    Seq2SeqTrainer.training_step = counted
    arguments = Seq2SeqTrainingArguments(
        output_dir=METER.work("output"),
        per_device_train_batch_size=METER.spec["sentences"],
        learning_rate=5e-4,
        num_train_epochs=20,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        max_grad_norm=1.0,
        remove_unused_columns=False,
        label_smoothing_factor=0.1,
        optim="adamw_torch_fused",
        **grouped(),
    )
    Seq2SeqTrainer(model=model, args=arguments, train_dataset=Examples(examples), data_collator=collate).train()


class Examples(torch.utils.data.Dataset):  # type: ignore[type-arg]
    def __init__(self, rows: list[Example]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Example:
        return self.rows[index]


def grouped() -> dict[str, Any]:
    """The setting that groups by length, which version 5 renamed."""
    names = Seq2SeqTrainingArguments.__dataclass_fields__
    if "train_sampling_strategy" in names:
        return {"train_sampling_strategy": "group_by_length"}
    return {"group_by_length": True}


def ids(path: str) -> list[list[int]]:
    return [[*map(int, line.split()), END] for line in Path(path).read_text().splitlines()]


def padded(rows: list[list[int]], value: int) -> Tensor:
    longest = max(map(len, rows))
    return torch.tensor([row + [value] * (longest - len(row)) for row in rows])


main()
