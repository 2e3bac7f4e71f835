"""LLaVA 1.5, a family of models that Unblind does not know: a CLIP tower, two linear layers, and a Llama."""

from unblind.models.chat import ChatFamily


class Llava(ChatFamily):
    """What differs from other models with a chat template."""

    name = "LLaVA 1.5"
    model_types = frozenset({"llava"})
    processor_class = "LlavaProcessor"
    parts = {
        "language": ("model.language_model",),
        "projector": ("model.multi_modal_projector",),
        "vision": ("model.vision_tower",),
    }
    image_text = "<image>"

    def part_of(self, module):
        """The part. The projector reads the last layer but one, so CLIP's layer 23 learns nothing."""
        return None if "vision_tower.encoder.layers.23." in f"{module}." else super().part_of(module)

    def rendered(self, processor, messages, *, ask):
        """The template's text. It ends a reply with a space; this adds the token that ends a turn."""
        text = super().rendered(processor, messages, ask=ask)
        return text if ask else text.rstrip() + processor.tokenizer.eos_token

    def image_states(self, model, batch_size):
        """The features of one square image a row, (batch_size, patches, width), to estimate memory with."""
        import torch

        side = model.config.vision_config.image_size
        pixels = torch.zeros(batch_size, 3, side, side, dtype=model.dtype)
        return torch.stack(tuple(model.model.get_image_features(pixel_values=pixels).pooler_output))


FAMILY = Llava()
