-- One row per hour and deployment of {used}(hour, deployment), and a digest of the prices in force in the hour, each as far
-- as it reaches into it: what an hour costs follows from its usage and these. Empty where there are none.
SELECT used.hour, used.deployment, coalesce(md5(string_agg(terms, chr(10) ORDER BY terms)), '') AS fingerprint
FROM {used} AS used
LEFT JOIN (
    SELECT
        deployment AS priced, effective_from, coalesce(effective_to, 'infinity'::TIMESTAMPTZ) AS effective_to,
        [
            coalesce(org, '-'), coalesce(model, '-'), version, input::VARCHAR, cached::VARCHAR, output::VARCHAR, currency,
            bill_failed, coalesce(input_audio::VARCHAR, '-'), coalesce(output_audio::VARCHAR, '-'),
            coalesce(characters::VARCHAR, '-'), coalesce(documents::VARCHAR, '-'), coalesce(searches::VARCHAR, '-'),
            coalesce(tiers::VARCHAR, '-'), coalesce(minimum::VARCHAR, '-')
        ]::VARCHAR AS about
    FROM price
) AS prices
    ON priced = used.deployment AND effective_from < used.hour + INTERVAL 1 HOUR AND effective_to > used.hour
CROSS JOIN LATERAL (
    SELECT
        about || epoch_us(greatest(effective_from, used.hour)) || ' '
            || epoch_us(least(effective_to, used.hour + INTERVAL 1 HOUR)) AS terms
)
GROUP BY used.hour, used.deployment
