"""Learn to copy: the smallest task that an encoder-decoder must remember its source for.

Run it with `python examples/textbook.py`. A source is one to four symbols, its target the same symbols and END.
"""

import torch
from torch import optim

from seqsmith.textbook import END, PAD, Seq2Seq, beam_search, greedy, train

torch.manual_seed(1)
FIRST, SYMBOLS, LONGEST = END + 1, 6, 4


def draw_batch(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random sources, padded with PAD, and their targets, one step longer for END."""
    source = torch.randint(FIRST, FIRST + SYMBOLS, (size, LONGEST))
    lengths = torch.randint(1, LONGEST + 1, (size, 1))
    source = source.masked_fill(torch.arange(LONGEST) >= lengths, PAD)
    target = torch.cat([source, torch.full((size, 1), PAD)], dim=1).scatter(1, lengths, END)
    return source, target


train_iterator = [draw_batch(64) for _ in range(250)]
input_size, embed_size, hidden_size, output_size = FIRST + SYMBOLS, 64, 128, FIRST + SYMBOLS

model = Seq2Seq(input_size, embed_size, hidden_size, output_size)
optimizer = optim.Adam(model.parameters())
train(model, train_iterator, optimizer)

test_source, _ = draw_batch(200)
sequences = [row[row != PAD] for row in test_source]
answers = [greedy(model, sequence, longest=LONGEST + 2) for sequence in sequences]
accuracy = sum(answer == sequence.tolist() for answer, sequence in zip(answers, sequences, strict=True)) / 200
print(f"copied without a mistake: {accuracy:.1%} of 200 new sequences")

print(f"the three likeliest answers to {sequences[0].tolist()}:")
for score, answer in beam_search(model, sequences[0], beam=5, longest=LONGEST + 2, nbest=3):
    print(f"{score:8.3f} {answer}")
