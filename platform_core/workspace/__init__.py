"""The workspace: its folder and database, its trash, and where its page is served."""
