-- One row per price, in the order of PriceRow's fields.
SELECT
    deployment, org, effective_from, effective_to, book, input, cached, output, currency, bill_failed, assigned_from,
    input_audio, output_audio, characters, documents, searches, model, tiers, minimum
FROM price
ORDER BY deployment, org NULLS FIRST, model NULLS FIRST, effective_from;
