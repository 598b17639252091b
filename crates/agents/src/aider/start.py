# Starts aider without what the repository could tell it: no .aider.conf.yml, no .env, no model
# settings from the workspace, and its cache of tags outside of it. Another version that lacks
# one of these places is not started: its repository's settings would be believed.
import os
import sys

place = os.environ.pop("MIDWATCH_AIDER_SITE", "")
if place:
    import site

    site.addsitedir(place)

import aider.main
import aider.repomap

for module, name in [
    (aider.main, "get_parser"),
    (aider.main, "load_dotenv_files"),
    (aider.main, "generate_search_path_list"),
    (aider.repomap.RepoMap, "TAGS_CACHE_DIR"),
]:
    if not hasattr(module, name):
        sys.exit("midwatch: this aider has no " + name + ", so it is not started")

get_parser = aider.main.get_parser
aider.main.get_parser = lambda files, root: get_parser([], root)
aider.main.load_dotenv_files = lambda *ignored, **also: []
aider.main.generate_search_path_list = lambda default, root, given: [given] if given else []
# Its list of prices comes with it; the newest one is not fetched.
prices = getattr(getattr(aider.main.models, "ModelInfoManager", None), "_update_cache", None)
if prices:
    aider.main.models.ModelInfoManager._update_cache = lambda *ignored: None
aider.repomap.RepoMap.TAGS_CACHE_DIR = os.path.expanduser("~/.cache/aider-tags")

sys.exit(aider.main.main())
