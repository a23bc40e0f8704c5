-- One row per heartbeat of a chunk's hours.
CREATE OR REPLACE TEMP TABLE heartbeat AS
SELECT
    unnest($hour::TIMESTAMPTZ[]) AS hour, unnest($replica::VARCHAR[]) AS replica, unnest($start::VARCHAR[]) AS start,
    unnest($recorded::BIGINT[]) AS recorded, unnest($first_at::TIMESTAMPTZ[]) AS first_at,
    unnest($last_at::TIMESTAMPTZ[]) AS last_at;
