"""The parts of the demo avatar's picture. Coordinates inside the head are pixels of the frame at scale 1, origin between
nose and eyes, y down."""
