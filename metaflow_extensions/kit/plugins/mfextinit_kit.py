"""What kit adds to Metaflow."""

ENVIRONMENTS_DESC = [("unpinned", ".unpinned.UnpinnedEnvironment")]
