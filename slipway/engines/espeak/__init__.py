"""Text to speech: eSpeak NG in processes of its own, behind OpenAI's /v1/audio/speech.

Belongs here: voices, sentences, sound as clients want it. Does not: what all engines share (slipway.engines).
eSpeak NG is GPL-3: nothing here imports it but process.py, which nothing here imports.
"""
