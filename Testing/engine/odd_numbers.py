"""What stands in damaged headers where a number should: some readers take a part of it, in silence."""

ODD_NUMBERS = ("2x", "1_0", "0x10", "\xb2", "1\xff", "nan", "inf", "-inf", "1e999", "1,5", "--2", "1.2.3", "2e")
