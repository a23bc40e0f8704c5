-- One row per hour, deployment and model in [$start, $end), and whether that hour is final.
SELECT deployment_hourly.*, rollup_run.final
FROM deployment_hourly
JOIN rollup_run ON rollup_run.hour = deployment_hourly.hour
WHERE deployment_hourly.hour >= $start AND deployment_hourly.hour < $end
    AND ($deployment::VARCHAR IS NULL OR deployment = $deployment)
ORDER BY deployment_hourly.hour, deployment, model;
