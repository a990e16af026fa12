"""Property tests: no time limit on an example (cores are shared), and the same ones every time."""

from hypothesis import settings

settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")
