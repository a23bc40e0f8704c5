-- One row per hour, gateway replica and start of it. In: heartbeat.
INSERT INTO gateway_hourly
SELECT hour, replica, start, recorded, first_at, last_at FROM heartbeat;
