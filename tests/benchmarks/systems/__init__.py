"""What is measured: this task queue and its peers, one file each."""
