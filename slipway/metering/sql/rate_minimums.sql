-- Rows of cost_rated, unit 'minimum': what successful requests of the chunk lack of the least that they cost.
-- In: request (deduplicated), price. Request by request, at the prices before any tier or free volume: so what is added
-- does not depend on what else a month has. Only requests of deployments with such a price are looked at.
INSERT INTO cost_rated
WITH priced AS (
    -- The price that metered.sql finds: org and model, org, model, general.
    SELECT
        request_id,
        arg_max(price.rowid, (price.org IS NOT NULL)::INTEGER * 2 + (price.model IS NOT NULL)::INTEGER) AS price_row
    FROM request
    JOIN price
        ON price.deployment = request.deployment
        AND arrived_at >= price.effective_from AND arrived_at < coalesce(price.effective_to, 'infinity'::TIMESTAMPTZ)
        AND (price.org IS NULL OR price.org = request.org) AND (price.model IS NULL OR price.model = request.model)
    WHERE status = 'success' AND request.deployment IN (SELECT deployment FROM price WHERE minimum IS NOT NULL)
    GROUP BY request_id
),
lacking AS (
    SELECT
        hour, request.org, "user", api_key, request.deployment, request.model, version, currency,
        minimum - (
            (input_tokens - cached_tokens)::HUGEINT * price.input
            + cached_tokens::HUGEINT * price.cached
            + output_tokens::HUGEINT * price.output
            + input_audio_ms::HUGEINT * coalesce(price.input_audio, 0)
            + output_audio_ms::HUGEINT * coalesce(price.output_audio, 0)
            + request.characters::HUGEINT * coalesce(price.characters, 0)
            + request.documents::HUGEINT * coalesce(price.documents, 0)
            + request.searches::HUGEINT * coalesce(price.searches, 0)
        ) AS pico
    FROM request
    JOIN priced USING (request_id)
    JOIN price ON price.rowid = price_row AND minimum IS NOT NULL
)
SELECT
    hour, org, "user", api_key, deployment, model, version, 'minimum', 0, count(*), 0,
    sum(pico)::DECIMAL(38, 0) * 0.000000000001::DECIMAL(12, 12), currency
FROM lacking
WHERE pico > 0
GROUP BY hour, org, "user", api_key, deployment, model, version, currency;
