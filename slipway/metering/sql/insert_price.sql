INSERT INTO price BY NAME
SELECT
    $deployment AS deployment, $org AS org, $effective_from::TIMESTAMPTZ AS effective_from,
    $effective_to::TIMESTAMPTZ AS effective_to, $version AS version, $input AS input, $cached AS cached,
    $output AS output, $currency AS currency, $bill_failed AS bill_failed, $book AS book,
    $assigned_from::TIMESTAMPTZ AS assigned_from;
