"""The offline wing: corpora to tokenizer, training, ONNX export and verification. Uses PyTorch."""
