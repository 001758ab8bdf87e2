"""What a comparison would take on devices that are not here: planned from the models' configs."""
