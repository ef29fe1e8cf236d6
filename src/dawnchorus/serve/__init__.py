"""The local page: look at sounds, hear them, and judge them, in a browser on this machine."""
