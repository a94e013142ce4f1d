"""What every route of the service is asked, how it is asked, and the document that comes of it."""
