"""Vision encoders: images to patch states."""

from timm.models.vision_transformer import VisionTransformer


def tiny_vision_architecture() -> VisionTransformer:
    """A ViT small enough to ship: 96 x 96 pixels, patch 8, 4 blocks, width 128, no class token."""
    return VisionTransformer(
        img_size=96,
        patch_size=8,
        embed_dim=128,
        depth=4,
        num_heads=4,
        class_token=False,
        global_pool="avg",
        fc_norm=False,
        num_classes=0,
        dynamic_img_size=True,
    )
