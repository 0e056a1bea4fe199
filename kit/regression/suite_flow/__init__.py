"""The folder of the flow KitTest: what its code package is made of, beside what it carries."""
