"""The search for codecs: configuration, data, training, the sampler, the study, the report, and
promotion.
"""

import os

# Ray reads these as it is imported. The raylet's messages about workers and nodes that died, dozens
# of lines each, are for its own log; a run says in a line what they mean for it.
os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
# A candidate that fails has its reason in a line of the run.
os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")
# The seconds for which Ray tries to join a cluster that answers but does not let it.
os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "10")
