/* Photographs in, painted pictures out: decoding, the gallery, the share sheet. */
package com.example.tfstyle

import android.content.ContentValues
import android.content.Context
import android.content.Intent
import android.graphics.Bitmap
import android.graphics.ColorSpace
import android.graphics.ImageDecoder
import android.net.Uri
import android.os.Environment
import android.provider.MediaStore
import androidx.core.content.FileProvider
import java.io.File
import java.io.IOException
import java.io.OutputStream
import kotlin.math.max

private const val JPEG_QUALITY = 95
private const val JPEG = "image/jpeg"

/** Reads a photograph in sRGB, upright (ImageDecoder obeys EXIF), reduced to what a frame needs. */
fun readBitmap(context: Context, uri: Uri, frameSide: Int): Bitmap {
    val source = ImageDecoder.createSource(context.contentResolver, uri)
    return ImageDecoder.decodeBitmap(source) { decoder, info, _ ->
        decoder.allocator = ImageDecoder.ALLOCATOR_SOFTWARE // or its pixels cannot be read
        decoder.setTargetColorSpace(ColorSpace.get(ColorSpace.Named.SRGB))
        decoder.setTargetSampleSize(sampleSize(max(info.size.width, info.size.height), frameSide))
    }
}

fun Bitmap.toPicture(): Picture {
    val argb = IntArray(width * height)
    getPixels(argb, 0, width, 0, 0, width, height)
    return pictureOf(argb, width, height)
}

fun Picture.toBitmap(): Bitmap =
    Bitmap.createBitmap(toArgb(), width, height, Bitmap.Config.ARGB_8888)

/** Saves a picture among the phone's own, in Pictures/tfstyle; nobody sees it half written. */
fun save(context: Context, bitmap: Bitmap) {
    val resolver = context.contentResolver
    val values = ContentValues().apply {
        put(MediaStore.Images.Media.DISPLAY_NAME, "tfstyle-${System.currentTimeMillis()}.jpg")
        put(MediaStore.Images.Media.MIME_TYPE, JPEG)
        put(MediaStore.Images.Media.RELATIVE_PATH, "${Environment.DIRECTORY_PICTURES}/tfstyle")
        put(MediaStore.Images.Media.IS_PENDING, 1)
    }
    val uri = resolver.insert(MediaStore.Images.Media.EXTERNAL_CONTENT_URI, values)
        ?: throw IOException("The gallery takes no picture.")
    try {
        (resolver.openOutputStream(uri) ?: throw IOException("Cannot write $uri.")).use {
            write(bitmap, it)
        }
        val done = ContentValues().apply { put(MediaStore.Images.Media.IS_PENDING, 0) }
        resolver.update(uri, done, null, null)
    } catch (error: IOException) {
        resolver.delete(uri, null, null)
        throw error
    }
}

/** Returns an intent that lets people choose whom to send a picture to. */
fun shareIntent(context: Context, bitmap: Bitmap): Intent {
    val file = cacheFile(context, "shared", "tfstyle.jpg")
    file.outputStream().use { write(bitmap, it) }
    val send = Intent(Intent.ACTION_SEND).apply {
        type = JPEG
        putExtra(Intent.EXTRA_STREAM, uriOf(context, file))
        addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION)
    }
    return Intent.createChooser(send, null)
}

/** Returns where the camera app shall put its photograph: the same place each time, so that it is
 * found again even if the system ends this app meanwhile. */
fun cameraUri(context: Context): Uri = uriOf(context, cacheFile(context, "camera", "photo.jpg"))

private fun write(bitmap: Bitmap, stream: OutputStream) {
    if (!bitmap.compress(Bitmap.CompressFormat.JPEG, JPEG_QUALITY, stream)) {
        throw IOException("Cannot write the picture.")
    }
}

/** Folders as in res/xml/file_paths.xml. */
private fun cacheFile(context: Context, folder: String, name: String) =
    File(File(context.cacheDir, folder).apply { mkdirs() }, name)

private fun uriOf(context: Context, file: File): Uri =
    FileProvider.getUriForFile(context, "${context.packageName}.files", file)
