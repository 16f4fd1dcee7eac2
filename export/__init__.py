"""Trained networks as files that paint without tfstyle: TensorFlow Serving, LiteRT, Android."""
