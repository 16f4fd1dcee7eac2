package com.example.tfstyle

import android.content.ActivityNotFoundException
import android.graphics.BitmapFactory
import android.os.Bundle
import android.view.View
import android.view.ViewGroup
import android.widget.AdapterView
import android.widget.ArrayAdapter
import android.widget.Button
import android.widget.ImageView
import android.widget.Spinner
import android.widget.TextView
import androidx.activity.ComponentActivity
import androidx.activity.result.PickVisualMediaRequest
import androidx.activity.result.contract.ActivityResultContracts
import androidx.activity.viewModels

/** The only screen: a picture, the styles, the sizes, and four buttons. */
class MainActivity : ComponentActivity() {
    private val viewModel: StyleViewModel by viewModels()

    private val images = PickVisualMediaRequest(ActivityResultContracts.PickVisualMedia.ImageOnly)
    private val gallery = registerForActivityResult(ActivityResultContracts.PickVisualMedia()) {
        if (it != null) viewModel.choose(it)
    }
    private val painting = registerForActivityResult(ActivityResultContracts.PickVisualMedia()) {
        if (it != null) viewModel.choosePainting(it)
    }
    private val camera = registerForActivityResult(ActivityResultContracts.TakePicture()) { taken ->
        if (taken) viewModel.choose(cameraUri(this))
    }

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.activity_main)
        onClick(R.id.gallery) { gallery.launch(images) }
        onClick(R.id.camera) {
            try {
                camera.launch(cameraUri(this))
            } catch (_: ActivityNotFoundException) {
                viewModel.show(getString(R.string.no_camera))
            }
        }
        onClick(R.id.save) {
            viewModel.withPainted(getString(R.string.saved)) { save(applicationContext, it) }
        }
        onClick(R.id.share) { viewModel.withPainted { startActivity(shareIntent(this, it)) } }
        showStyles()
        showSizes()
        viewModel.screen.observe(this, ::show)
    }

    private fun show(screen: Screen) {
        findViewById<TextView>(R.id.note).text = screen.note
        findViewById<ImageView>(R.id.picture).setImageBitmap(screen.shown)
        for (button in listOf(R.id.save, R.id.share)) {
            findViewById<Button>(button).isEnabled = screen.painted != null
        }
    }

    private fun showStyles() {
        val row = findViewById<ViewGroup>(R.id.styles)
        for (style in viewModel.styles) {
            val item = layoutInflater.inflate(R.layout.item_style, row, false)
            item.findViewById<TextView>(R.id.name).text = viewModel.title(style)
            val thumbnail = item.findViewById<ImageView>(R.id.thumbnail)
            style.thumbnail?.let { name ->
                thumbnail.setImageBitmap(assets.open(name).use(BitmapFactory::decodeStream))
            }
            if (style.encoder != null) {
                thumbnail.setImageResource(android.R.drawable.ic_menu_gallery)
                viewModel.thumbnail.observe(this, thumbnail::setImageBitmap)
            }
            item.tooltipText = style.about
            item.isActivated = style == viewModel.style
            item.setOnClickListener {
                for (i in 0 until row.childCount) row.getChildAt(i).isActivated = false
                item.isActivated = true
                viewModel.choose(style)
                showSizes()
                if (style.encoder != null) painting.launch(images)
            }
            row.addView(item)
        }
    }

    private fun showSizes() {
        val models = viewModel.style?.models ?: return
        val spinner = findViewById<Spinner>(R.id.size)
        val sizes = models.map { getString(R.string.size, it.width, it.height) }
        spinner.adapter = ArrayAdapter(this, android.R.layout.simple_spinner_dropdown_item, sizes)
        spinner.setSelection(models.indexOf(viewModel.model))
        spinner.onItemSelectedListener = object : AdapterView.OnItemSelectedListener {
            override fun onItemSelected(of: AdapterView<*>?, item: View?, index: Int, id: Long) =
                viewModel.choose(models[index])

            override fun onNothingSelected(of: AdapterView<*>?) = Unit
        }
    }

    private fun onClick(button: Int, action: () -> Unit) =
        findViewById<Button>(button).setOnClickListener { action() }
}
