"""Invented posts about the photographs of any folder in COCO's format."""
