"""Speed and memory of gmbench, each beside a baseline measured in the same process."""
