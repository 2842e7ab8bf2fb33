"""The labelling page: a web server over one project folder. It never imports torch."""
