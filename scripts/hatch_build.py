"""Build hook: takes BullMQ's Lua out of the pinned distribution (helper "protocol" completes it)."""

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Nothing yet."""
