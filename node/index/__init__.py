"""The index: our own tables are the truth about instances, studies, jobs and deliveries."""
