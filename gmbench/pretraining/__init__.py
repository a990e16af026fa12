"""How the tiny encoders were pretrained, on a world that shares no name, colour or seed."""
