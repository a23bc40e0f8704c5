-- One row per hour, gateway replica and start of it that told of itself: how many events of the hour it recorded, and when
-- it first and last said so within the hour (NULL: only after it).
CREATE TABLE IF NOT EXISTS gateway_hourly (
    hour TIMESTAMPTZ, replica VARCHAR, start VARCHAR, recorded BIGINT, first_at TIMESTAMPTZ, last_at TIMESTAMPTZ
);
