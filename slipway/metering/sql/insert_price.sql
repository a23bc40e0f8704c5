INSERT INTO price BY NAME
SELECT
    $deployment AS deployment, $org AS org, $effective_from::TIMESTAMPTZ AS effective_from,
    $effective_to::TIMESTAMPTZ AS effective_to, $version AS version, $input AS input, $cached AS cached,
    $output AS output, $currency AS currency, $bill_failed AS bill_failed, $book AS book,
    $assigned_from::TIMESTAMPTZ AS assigned_from,
    $input_audio AS input_audio, $output_audio AS output_audio, $characters AS characters, $documents AS documents,
    $searches AS searches, $model AS model,
    $tiers::STRUCT(unit VARCHAR, above BIGINT, price BIGINT)[] AS tiers, $minimum AS minimum;
