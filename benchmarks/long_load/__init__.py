"""A mixed load over many minutes: what is asked, what is right, and how the processes of the service fare."""
