"""Breaking glass: an emergency search by one person, which a second person judges afterwards."""
