"""Where people live: countries, states, and cities by size."""

COUNTRIES = {"at": "Austria", "ca": "Canada", "us": "United States"}
STATES = {
    "at": {"at-5": "Salzburg", "at-6": "Styria", "at-9": "Vienna"},
    "ca": {"ca-bc": "British Columbia", "ca-on": "Ontario"},
    "us": {"us-ca": "California", "us-or": "Oregon", "us-tx": "Texas"},
}
LARGE = 250_000
"""People from whom on a city is large."""
CITIES = {
    "at-5": {"Hallein": 21_000, "Salzburg": 157_000},
    "at-6": {"Graz": 303_000, "Kapfenberg": 22_000, "Leoben": 25_000},
    "at-9": {"Vienna": 2_006_000},
    "ca-bc": {"Kelowna": 145_000, "Surrey": 568_000, "Vancouver": 662_000, "Victoria": 92_000},
    "ca-on": {"Guelph": 144_000, "Kingston": 133_000, "Ottawa": 1_017_000, "Toronto": 2_794_000},
    "us-ca": {"Berkeley": 119_000, "Los Angeles": 3_821_000, "San Francisco": 809_000},
    "us-or": {"Bend": 105_000, "Eugene": 177_000, "Portland": 630_000, "Salem": 177_000},
    "us-tx": {"Austin": 980_000, "Galveston": 53_000, "Houston": 2_314_000, "Waco": 144_000},
}
