"""What verl imports into each of its processes (VERL_USE_EXTERNAL_MODULES): the patches, and on a CPU its platform."""

from __future__ import annotations

import os

from runners.engines.verl import patches

patches.everywhere()
if os.environ.get("VERL_PLATFORM") == "cpu":
    patches.on_cpu()
    from runners.engines.verl import cpu_platform, transformers_rollout

    cpu_platform.register()
    transformers_rollout.register()
