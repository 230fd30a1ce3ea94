"""`python -m augurium.batch`: the process of a job."""

import sys

from augurium.batch.job_process import main

sys.exit(main(sys.argv[1:]))
