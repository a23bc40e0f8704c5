-- One row per deployment whose GPUs ran through the whole of the hours in [since, until), and which nobody asked.
-- gpu_hours: what they held meanwhile. In: replicas_hourly, deployment_hourly; an hour that was not sampled says nothing.
WITH held AS (
    SELECT deployment, sum(gpu_seconds) AS gpu_seconds, count(DISTINCT hour) AS hours
    FROM replicas_hourly
    WHERE hour >= $since AND hour < $until AND gpu_seconds > 0
    GROUP BY deployment
)
SELECT deployment, (gpu_seconds / 3600)::DOUBLE AS gpu_hours
FROM held
WHERE
    hours = $hours
    AND deployment NOT IN (
        SELECT deployment FROM deployment_hourly
        WHERE hour >= $since AND hour < $until AND requests > 0 AND deployment IS NOT NULL
    )
ORDER BY deployment;
