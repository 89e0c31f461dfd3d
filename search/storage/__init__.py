"""Where a run's study is kept if not in the journal of its folder: a database."""
