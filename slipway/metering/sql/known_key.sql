-- One row per API key (its id) that was ever metered.
SELECT DISTINCT api_key FROM usage_hourly;
