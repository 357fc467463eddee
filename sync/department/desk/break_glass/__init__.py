"""Breaking glass: an emergency search on one word, judged by a second person afterwards."""
