"""What has to do with Spotify."""
