"""The prompts that ship with agentkit: one .jinja file each."""
