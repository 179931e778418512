"""Settings of all tests.

Networks as small as these gain little from a second thread, and where another program uses one of the cores, two
threads that wait for each other take minutes for what takes seconds.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is loaded, and for the processes that tests start

import torch

torch.set_num_threads(1)
