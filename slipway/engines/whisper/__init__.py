"""Speech to text: a Whisper model by faster-whisper (CTranslate2), behind OpenAI's audio API.

Belongs here: uploads, decoding sound, transcribing, the forms of a transcript. Does not: what all engines
share (slipway.engines).
"""
