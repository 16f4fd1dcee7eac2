package com.example.tfstyle

import android.app.Application
import android.content.Context
import android.graphics.Bitmap
import android.net.Uri
import android.os.SystemClock
import androidx.lifecycle.AndroidViewModel
import androidx.lifecycle.MutableLiveData
import java.io.FileNotFoundException
import java.util.concurrent.Executors
import java.util.concurrent.Future

/** What the screen shows: [painted], or as long as there is none the photograph, and a note. */
data class Screen(val note: String, val shown: Bitmap? = null, val painted: Bitmap? = null)

/** Holds photograph, style and size while the phone is turned; works on one thread of its own. */
class StyleViewModel(application: Application) : AndroidViewModel(application) {
    private val context: Context = application
    private val worker = Executors.newSingleThreadExecutor()
    private var latest: Future<*>? = null
    private var photograph: Uri? = null
    private var painter: Pair<Model, Painter>? = null // of the worker's thread only

    val styles = readStyles(context)
    val screen = MutableLiveData(Screen(context.getString(startNote())))
    var style = styles.firstOrNull()
        private set
    var model = style?.models?.lastOrNull()
        private set

    fun choose(photograph: Uri) {
        this.photograph = photograph
        paint()
    }

    fun choose(style: Style) {
        if (style == this.style) return
        val size = style.models.find { it.height == model?.height && it.width == model?.width }
        this.style = style
        model = size ?: style.models.lastOrNull()
        paint()
    }

    fun choose(model: Model) {
        if (model == this.model) return
        this.model = model
        paint()
    }

    /** Does something with the painted picture in the background, and then shows a note. */
    fun withPainted(note: String? = null, action: (Bitmap) -> Unit) {
        val before = screen.value ?: return
        val painted = before.painted ?: return
        worker.execute {
            attempt(before) {
                action(painted)
                before.copy(note = note ?: before.note)
            }
        }
    }

    fun show(note: String) {
        screen.value = screen.value?.copy(note = note)
    }

    override fun onCleared() {
        latest?.cancel(false)
        worker.execute { painter?.second?.close() }
        worker.shutdown()
    }

    private fun paint() {
        val uri = photograph ?: return
        val style = style ?: return
        val model = model ?: return
        latest?.cancel(false) // one that has not begun yet
        val before = Screen(context.getString(R.string.painting), screen.value?.shown)
        screen.value = before
        latest = worker.submit { attempt(before) { paint(uri, style, model) } }
    }

    private fun paint(uri: Uri, style: Style, model: Model): Screen {
        val photograph = readBitmap(context, uri, maxOf(model.height, model.width))
        screen.postValue(Screen(context.getString(R.string.painting), photograph))
        val painter = painterOf(model)
        val begun = SystemClock.elapsedRealtime()
        val painted = painter.paint(photograph.toPicture()).toBitmap()
        val ms = (SystemClock.elapsedRealtime() - begun).toInt()
        val facts = arrayOf<Any>(style.name, painted.width, painted.height, ms, painter.device)
        return Screen(context.getString(R.string.painted, *facts), painted, painted)
    }

    private fun painterOf(model: Model): Painter {
        painter?.let { (its, painter) -> if (its == model) return painter }
        painter?.second?.close()
        painter = null
        return Painter(context.assets, model).also { painter = model to it }
    }

    /** Shows what an action returns, or what kept it from doing so. */
    private fun attempt(before: Screen, action: () -> Screen) {
        val after = try {
            action()
        } catch (error: Exception) {
            before.copy(note = context.getString(R.string.failed, error.message))
        }
        screen.postValue(after)
    }

    private fun startNote() = if (styles.isEmpty()) R.string.no_styles else R.string.start
}

private fun readStyles(context: Context): List<Style> = try {
    context.assets.open(LABELS).use { parseLabels(it.readBytes().decodeToString()) }
} catch (_: FileNotFoundException) {
    emptyList()
}
