"""Search: from a model's step to its best answers. Everything here takes a `Step`; nothing knows a model."""
